"""How the compact models learn: samples, augmentation, losses, and the loop around them."""
