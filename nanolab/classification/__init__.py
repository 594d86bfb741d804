"""What whole micrographs show: a pretrained network, fine-tuned on a few images of each class."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
