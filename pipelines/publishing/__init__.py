"""What a publication is made of: masks, order, increments, noise, grants, and what is taken away again."""
