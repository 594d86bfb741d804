from .engine import sweep as sweep
from .spec import load_sweep as load_sweep
from .table import collect as collect
from .table import sweep_state as sweep_state
