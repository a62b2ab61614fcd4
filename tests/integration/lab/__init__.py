"""The laboratory: temporary PostgreSQL clusters, the programs under test, wire clients."""
