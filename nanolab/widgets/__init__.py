"""What a notebook shows that answers to the mouse."""
