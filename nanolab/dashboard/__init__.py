"""A page for people who measure particles and open no notebook: drop images, correct, see sizes, download."""
