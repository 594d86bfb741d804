from .checkpoint import copy_network as copy_network
from .networks.table import network_table as network_table
from .readouts.base import make_readout as make_readout
from .registry import NETWORKS as NETWORKS
from .registry import build as build
