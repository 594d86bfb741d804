from .epochs import epoch_selector as epoch_selector
from .epochs import study_selector as study_selector
from .realism import realism_map as realism_map
from .synthesis import RecipeEditor as RecipeEditor
