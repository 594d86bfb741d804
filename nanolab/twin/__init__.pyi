from .correction import Correction as Correction
from .correction import correct as correct
from .response import match_twin as match_twin
from .unfolding import unfold as unfold
