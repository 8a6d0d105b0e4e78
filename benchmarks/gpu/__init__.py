"""Fits on an accelerator: its ceilings, what each fit takes against them, and other libraries on the same device."""
