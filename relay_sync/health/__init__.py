"""Health checks and metrics of a program that runs in one or several processes.

=============  =======================================================================================================
``address``    parses the address to listen on
``report``     what a process reports once a second
``snapshot``   makes the report of this process
``families``   the metrics and their labels
``verdicts``   decides from the reports whether a program is alive and whether it accepts calls
``metrics``    the text that Prometheus scrapes
``pages``      the pages: ``/live``, ``/ready``, ``/metrics``
``server``     the HTTP server
=============  =======================================================================================================
"""
