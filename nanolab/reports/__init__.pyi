from .analysis import analyse as analyse
from .fitted import fit_twin as fit_twin
from .fitted import kept_twin as kept_twin
from .realism import score_table as score_table
from .realism import write_report as write_report
from .sizes import compare_report as compare_report
from .sizes import size_report as size_report
