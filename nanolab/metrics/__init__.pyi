from .bootstrap import intervals as intervals
from .comparison import compare as compare
from .comparison import pooled as pooled
from .evaluate import evaluate as evaluate
