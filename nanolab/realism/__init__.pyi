from .comparison import compare_sets as compare_sets
