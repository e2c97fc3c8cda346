"""What holds for every test, and for the programs that tests start."""

import signal

# A shell starts a background job with interrupts ignored, and `nohup` with hang-ups ignored. What a
# test starts would inherit that: a program that a test interrupts would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
