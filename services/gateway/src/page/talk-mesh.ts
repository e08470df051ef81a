import '@talkmesh/client/embed';
