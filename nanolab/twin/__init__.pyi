from .correction import Correction as Correction
from .correction import correct as correct
from .report import TwinReport as TwinReport
from .report import correct_sizes as correct_sizes
from .response import match_twin as match_twin
from .twins import Network as Network
from .twins import twin_recipe as twin_recipe
from .unfolding import unfold as unfold
