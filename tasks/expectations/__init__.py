"""Great Expectations meets gdflow here and nowhere else. Importing it takes seconds: import this inside a function."""

import os
import warnings

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
with warnings.catch_warnings():  # of its own making: modules of the standard library that will go
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations as great_expectations
