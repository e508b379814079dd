"""What pickles name that were made while engine and sketches were one module; nothing else imports it."""

from ._sketches import CountMin as CountMin
from ._sketches import HyperLogLog as HyperLogLog
from ._sketches import _unpickle as _unpickle
from ._sketches import _unpickle_topk as _unpickle_topk
