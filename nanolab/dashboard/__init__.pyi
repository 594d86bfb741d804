from .server import open_dashboard as open_dashboard
from .session import Models as Models
from .workbench import Workbench as Workbench
from .workbench import image_files as image_files
