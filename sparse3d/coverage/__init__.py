"""What a reconstruction's photos know of its scene, and where the next photo should be taken."""
