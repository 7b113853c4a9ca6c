"""Cases prepared once for training: images on the network's grid, the regions as the expert and as others drew them."""
