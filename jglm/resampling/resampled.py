"""What a fit that has its data answers of resamples and other weights; imported as it is asked for."""


class Resampled:
    """What a fit that has its data tells of other weights of its rows."""

    def bootstrap(self, **options):
        """`jglm.bootstrap` of this fit, which takes `options`: resamples, kind, clusters, method, statistic, seed, …"""
        from jglm.resampling import resamples

        return resamples.resample(self, **options)

    def influence(self):
        """`jglm.influence` of this fit: the derivatives of the coefficients in the weights of the rows."""
        from jglm.resampling import jackknife

        return jackknife.influence(self)
