"""What XLA compiled, kept on disk in the user's cache folder, so that a new process need not compile it again."""

import functools
import os
import warnings

import jax

VARIABLE = "JGLM_COMPILATION_CACHE"  # a folder, or "off"
LARGEST = 1 << 30  # bytes; what was used longest ago goes
WORTHWHILE = 0.05  # seconds of compiling


@functools.cache
def enable():
    """Set up JAX's compilation cache, once a process, where nothing else has set it up or turned it off.

    The folder is that of the environment variable JGLM_COMPILATION_CACHE ("off" for none), else "jglm" in the user's
    cache folder. Settings of JAX itself (JAX_COMPILATION_CACHE_DIR, JAX_ENABLE_COMPILATION_CACHE) come first.
    """
    wanted = os.environ.get(VARIABLE, "")
    config = jax.config
    if wanted == "off" or config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:
        return
    import platformdirs

    folder = wanted or os.path.join(platformdirs.user_cache_dir("jglm"), "compiled")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        if wanted:
            warnings.warn(f"{VARIABLE}: {error}; nothing is kept of what is compiled", UserWarning, stacklevel=3)
        return
    from jax.experimental.compilation_cache import compilation_cache

    config.update("jax_compilation_cache_dir", folder)
    config.update("jax_compilation_cache_max_size", LARGEST)
    config.update("jax_persistent_cache_min_compile_time_secs", WORTHWHILE)
    # JAX looks at its settings once, when something is first compiled, and that may have been before.
    compilation_cache.reset_cache()
