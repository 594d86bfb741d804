from .seeds import generator as generator
