//! Queues of jobs and shared cells on Redis, for processes on several machines.
