"""Running task code in other processes: may import ``deadlines`` and ``_execution``'s own modules."""
