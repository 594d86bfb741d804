from .comparison import compare_sets as compare_sets
from .profiles import line_across as line_across
from .profiles import line_profile as line_profile
