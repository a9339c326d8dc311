"""Error rates of the field, from scores: ISO/IEC 30107-3 and 19795-1 names, each with its interval."""
