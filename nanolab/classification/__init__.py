"""What whole micrographs show: a pretrained network, fine-tuned on a few images of each class."""
