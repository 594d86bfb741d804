"""How close synthetic micrographs are to real ones: patches, features, distances, profiles, and a report of it all."""
