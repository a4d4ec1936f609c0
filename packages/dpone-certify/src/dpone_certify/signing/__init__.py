"""Signatures of documents: a DSSE envelope around an in-toto statement, Ed25519, made and verified offline."""
