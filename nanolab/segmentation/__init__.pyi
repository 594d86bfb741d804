from .cutting import f1_by_dynamic as f1_by_dynamic
from .files import SegmentedFiles as SegmentedFiles
from .files import segment_files as segment_files
from .magnification import parse_magnification as parse_magnification
from .scoring import compare_images as compare_images
from .scoring import score_groups as score_groups
from .segmenter import Segmenter as Segmenter
from .segmenter import segment as segment
