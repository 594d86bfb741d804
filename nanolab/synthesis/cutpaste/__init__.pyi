from .composition import compose as compose
from .composition import draw_composition as draw_composition
from .generate import cut_and_paste as cut_and_paste
from .material import IMAGE as IMAGE
from .material import prepare as prepare
from .settings import PRESETS as PRESETS
from .settings import CutPasteSettings as CutPasteSettings
