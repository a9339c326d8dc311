"""The gate: who may pass, decided from liveness and match; and the vault that keeps what was enrolled."""
