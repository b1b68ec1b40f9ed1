"""The two gates of publication: nothing is committed that did not pass them (law 3).

    leak          share and open: no identifier and no unmasked value in a column that should not hold it
    disclosure    open, of persons: nobody is singled out by the published table (GB/T 42460)

What they hold and what they do not is in docs/privacy.md.
"""
