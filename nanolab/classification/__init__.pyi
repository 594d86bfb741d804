from .learning import ClassifierSettings as ClassifierSettings
from .scores import accuracies as accuracies
from .views import draw_view as draw_view
from .views import shrink as shrink
