"""CPU kernels over plain arrays; they know nothing of volumes, cameras or poses."""
