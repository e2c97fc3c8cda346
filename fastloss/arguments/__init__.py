"""The arguments of a call: from what users have to arrays that kernels take."""
