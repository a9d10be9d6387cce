"""Lightning Fabric, which starts the processes of a training and sets devices and precision; imported here alone."""

from maskmill import quick

with quick.without("torchmetrics"):  # it would import all of it to see its version, for a class that is not used here
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

__all__ = ["DDPStrategy", "Fabric"]
