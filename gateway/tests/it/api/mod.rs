mod document;
mod replies;
