"""Lightning Fabric, which starts the processes of a training and sets devices and precision; imported here alone."""

from maskmill.system import quick

with quick.hide_module("torchmetrics"):  # all of which it would import to see its version, for a class not used here
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

__all__ = ["DDPStrategy", "Fabric"]
