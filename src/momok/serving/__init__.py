"""The HTTP service: pages, the JSON API and the review of predicted facts.

Needs the extra ``serve``. ``server.serve(settings)`` runs a server until it is told to stop;
``app.create_app(settings)`` makes the application alone, for another server or for tests.
"""
