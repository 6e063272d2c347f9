"""Constructed languages with exact gold."""
