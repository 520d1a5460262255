"""The admin, as people use it: forms sent, sentences read."""


def send(client, url, data):
    """What a page's form sends."""
    return client.post(url, data, format="multipart")


def act(client, url, action, *rows):
    """An action on rows chosen in a list."""
    return send(client, url, {"action": action, "_selected_action": [str(row.pk) for row in rows]})


def told(response):
    """What the page that comes next will say of it."""
    return [str(message) for message in response.wsgi_request._messages._queued_messages]
