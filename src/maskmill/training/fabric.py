"""Lightning Fabric, which starts the processes of a training and sets devices and precision.

It is imported here alone.
"""

from maskmill.system import quick

# Fabric would import all of torchmetrics to see its version, for a class not used here
with quick.hide_module("torchmetrics"):
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

__all__ = ["DDPStrategy", "Fabric"]
