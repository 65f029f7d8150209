"""Where a policy meets an engine: tuner, driver, run, executors; no data set and no loss comes in."""
