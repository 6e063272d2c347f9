"""Constructed languages with exact gold labels."""
