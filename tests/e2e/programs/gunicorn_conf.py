"""Three workers, forked from a master that has imported the application."""

bind = "127.0.0.1:0"
workers = 3
preload_app = True


def post_worker_init(worker):
    import web

    web.begin()
