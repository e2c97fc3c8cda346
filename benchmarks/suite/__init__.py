"""The asv suite. asv imports every module of this package, in the environment of any commit.

So what needs peers, or the insides of one commit's engine, stands outside of it; the cases and the
timing that it shares with them come from the package around it, which asv does not find by itself.
"""

import sys
from pathlib import Path

# Last: the fastloss that asv has installed goes before the checkout's.
sys.path.append(str(Path(__file__).parents[2]))
