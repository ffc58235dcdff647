"""The model API that does the work, RunComfy's, seen through a closed set of outcomes.

`client` is the only place that knows its status codes and words; whoever asks matches an outcome to the
end. `scripted` takes its place for test jobs. Nothing here decides what becomes of a job: it says what is
known, above all whether a submit was taken.
"""
