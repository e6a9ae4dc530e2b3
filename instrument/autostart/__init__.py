"""The folder that `evalspan run` puts on PYTHONPATH, so that the processes a command starts are traced as well."""
