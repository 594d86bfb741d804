"""A trained network applied to images: from a micrograph of any size to its particles."""
